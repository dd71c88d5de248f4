// What noble's Ed25519 says of the signatures in FILE (tests/golden/ed25519.txt): with zip215 off and on, beside what the file says it says.
import { ed25519 } from "@noble/curves/ed25519";
import { readFileSync } from "node:fs";

let cnt = 0, apart = 0, other = 0;
for (const line of readFileSync(process.argv[2], "utf8").split("\n")) {
  const [verdict, key, sig, msg, , strict, zip215] = line.split(" ");
  if (!/^[01]$/.test(verdict) || zip215 === undefined) continue;
  const says = (options) => {
    try {
      return ed25519.verify(sig, msg === "-" ? "" : msg, key, options) ? "1" : "0";
    } catch {
      return "0";
    }
  };
  cnt++;
  if (says({ zip215: false }) !== strict || says({ zip215: true }) !== zip215) other++;
  if (strict !== verdict) apart++;
  // Who takes less than the ledger would call its blocks false; who takes more believes somebody who has the key, and nobody else.
  if (verdict === "1" && !(strict === "1" && zip215 === "1")) other++;
}
console.log(JSON.stringify({ cnt, apart, other }));
