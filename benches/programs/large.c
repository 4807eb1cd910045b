// A large program that does little: it touches a few pages of its code and data, and says its peak
// memory if asked. The assembler takes in three files of bytes: code, constants, values.
#include <stdio.h>
#include <string.h>

#define BYTES(section, name, file)                                                                 \
    ".pushsection " section "\n.balign 4096\n.globl " name "\n.hidden " name "\n" name ":\n"       \
    ".incbin \"" file "\"\n.globl " name "_end\n.hidden " name "_end\n" name "_end:\n"             \
    ".byte 0\n.popsection\n"

__asm__(BYTES(".text", "code", "code.bin") BYTES(".rodata", "constants", "constants.bin")
            BYTES(".data", "values", "values.bin"));

#define HIDDEN extern __attribute__((visibility("hidden")))
HIDDEN const volatile unsigned char code[], code_end[], constants[], constants_end[], values[],
    values_end[];

static unsigned touch(const volatile unsigned char *from, const volatile unsigned char *to) {
    unsigned sum = 0;
    for (int i = 0; i < 8; i++)
        sum += from[(unsigned long)(to - from) / 8 * i];
    return sum;
}

static void say_peak(void) {
    char line[256];
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        if (strncmp(line, "VmHWM:", 6) == 0)
            fputs(line, stdout);
}

int main(int argc, char **argv) {
    unsigned sum = touch(code, code_end) + touch(constants, constants_end);
    sum += touch(values, values_end);
    if (argc > 1 && strcmp(argv[1], "peak") == 0)
        say_peak();
    return sum == 0;
}
