/* fuzz_zkml_proof.c - the verifier, on files of all sizes; with a good proof in the corpus each mutant is one byte or a few from
 * valid. No input may be accepted but that one, and none may take more than the plan's memory. */
#include "modules/zkml/verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct zkml_verdict v;
    struct zkml_plan plan;
    struct qn_why why;
    qn_rc rc = zkml_verify(QN_SPAN(data, size), &v, &why);
    if (rc == QN_OK) QN_ASSERT(zkml_verdict_read(QN_SPAN(data, size), &v, &plan, &why) == QN_OK);
    return 0;
}
