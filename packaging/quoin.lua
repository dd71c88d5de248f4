-- Settings of the quoin service. Lua: `name = value`, one a line. `quoin config check /etc/quoin/quoin.lua` reads this file as the
-- service does; `quoin help ref config` lists every setting. A line without its dashes counts from the next start.

-- api = "127.0.0.1:7846"                -- where the API listens: 127.0.0.1 and a port
-- modules = { "compute", "training" }   -- only these; none named: all
-- disable = { "agents" }                -- all but these
-- store_map_gib = 64                    -- address space for the checkpoint, not disk
-- nat = "auto"                          -- how a port is opened in the router: auto, off, natpmp, upnp
-- outbound = 8                          -- connections to choose by oneself; 0: only those joined
-- keep_days = 0                         -- days of blocks that stay on the disk; 0: all, an archive
