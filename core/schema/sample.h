/* sample.h - the record that tests and fuzz target of this folder use. */
#ifndef QN_CORE_SCHEMA_SAMPLE_H
#define QN_CORE_SCHEMA_SAMPLE_H

#include "core/schema/schema.h"

#include "core/schema/declare.h"
#include "core/schema/sample.def"

#endif
