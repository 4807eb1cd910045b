/* Prints where it lies, or with -DENVIRONMENT its environment. */
#include <stdio.h>

extern char **environ;

int main(void) {
#ifdef ENVIRONMENT
    for (char **entry = environ; *entry; entry++) puts(*entry);
#else
    printf("%p\n", (void *)main);
#endif
    return 0;
}
