/* work_import.c - job kind `data.import`: IDX files, gzipped or not, become one QNDS blob in out/data.qnds. */
#include "modules/training/work.h"

#include "core/crypto/hash.h"
#include "modules/training/dataset.h"
#include "modules/training/idx.h"

#include <stdio.h>

static qn_rc read_idx(struct qn_worker *w, const char *name, struct qn_buf *ret, struct qn_why *why)
{
    char path[4096];
    struct qn_buf file = { 0 };
    if (!qn_worker_in(w, name, path, sizeof path))
        return qn_why(why, QN_E_USAGE, "the request passed no input %s", name);
    qn_rc rc = qn_file_read(path, DATASET_BYTES_MAX, &file, why);
    if (rc == QN_OK) rc = idx_gunzip(qn_buf_get(&file), DATASET_BYTES_MAX, ret, why);
    qn_buf_free(&file);
    return rc;
}

qn_rc work_import(struct qn_worker *w, const json_t *request, json_t **ret, struct qn_why *why)
{
    struct qn_buf images = { 0 }, labels = { 0 }, blob = { 0 };
    struct dataset set;
    char path[4096], hex[65];
    (void)request;
    qn_rc rc = read_idx(w, "images", &images, why);
    if (rc == QN_OK) rc = read_idx(w, "labels", &labels, why);
    if (rc == QN_OK) rc = dataset_build(qn_buf_get(&images), qn_buf_get(&labels), &blob, why);
    if (rc == QN_OK) rc = dataset_open(qn_buf_get(&blob), &set, why);
    if (rc) goto out;
    snprintf(path, sizeof path, "%s/data.qnds", qn_worker_out(w));
    rc = work_write(path, qn_buf_get(&blob), why);
    if (rc) goto out;
    struct qn_hash hash = qn_blake3(blob.ptr, blob.len);
    qn_hex(hash.b, 32, hex);
    qn_worker_log(w, "%u records of %u bytes, %u classes: %s", set.rec_cnt, set.rec_bytes,
                  set.class_cnt, hex);
    *ret =
        json_pack("{s:s, s:s, s:I, s:I, s:I, s:[III], s:I}", "file", "data.qnds", "data", hex,
                  "bytes", (json_int_t)blob.len, "rec_bytes", (json_int_t)set.rec_bytes, "rec_cnt",
                  (json_int_t)set.rec_cnt, "dims", (json_int_t)set.dims[0], (json_int_t)set.dims[1],
                  (json_int_t)set.dims[2], "class_cnt", (json_int_t)set.class_cnt);
    if (!*ret) rc = QN_E_MEMORY;
out:
    qn_buf_free(&images);
    qn_buf_free(&labels);
    qn_buf_free(&blob);
    return rc;
}
