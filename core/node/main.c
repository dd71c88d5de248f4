/* main.c - the process starts here. */
#include "core/base/base.h"

#include <stdio.h>

int main(void)
{
    puts("quoin " QN_VERSION);
    return 0;
}
