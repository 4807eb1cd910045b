/* Ends at once, without a C library: its first system call is its last. */
void _start(void) { __asm__ volatile("syscall" : : "a"(231), "D"(0)); __builtin_unreachable(); }
