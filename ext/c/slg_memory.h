/* What <sys/mman.h> does not name before glibc 2.35. */
#ifndef SLG_MEMORY_H
#define SLG_MEMORY_H
#include <sys/mman.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#endif
