/* Code on the stack: a nested function whose address is taken. */
#include <stdio.h>

#ifdef BIG
char big[100 << 20];
#endif

static int apply(int (*f)(int), int x) { return f(x); }

int main(int argc, char **argv) {
    int add(int x) { return x + argc; }
    printf("%d\n", apply(add, 41));
    return 0;
}
