/* A library, and with -DPROGRAM the program that uses it. */
#include <stdio.h>

#ifdef PROGRAM
void beside(void);
int main(void) { beside(); return 0; }
#elif defined PRELOAD
__attribute__((constructor)) static void loaded(void) { puts("preloaded"); }
#else
void beside(void) { puts("from beside"); }
#endif
