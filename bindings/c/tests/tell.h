/* How the test programs tell of errors. */
#ifndef TELL_H
#define TELL_H

#include <stdio.h>
#include <stdlib.h>
#include <strongroom.h>

/* The last call's error, as the command line shows it. */
static inline void tell(const char *what) {
    char code[16], title[1024], hint[1024];
    if (strongroom_error_text(STRONGROOM_TEXT_CODE, code, sizeof code, NULL) != STRONGROOM_OK ||
        strongroom_error_text(STRONGROOM_TEXT_TITLE, title, sizeof title, NULL) != STRONGROOM_OK ||
        strongroom_error_text(STRONGROOM_TEXT_HINT, hint, sizeof hint, NULL) != STRONGROOM_OK) {
        fprintf(stderr, "%s: no text\n", what);
        return;
    }
    fprintf(stderr, "%s [%s]: %s\n  %s\n", what, code, title, hint);
}

/* Ends the program with the exit code of the error, if there is one. */
static inline void must(uint32_t status, const char *what) {
    strongroom_error error = {0};
    if (status == STRONGROOM_OK) {
        return;
    }
    tell(what);
    error.struct_size = sizeof error;
    exit(strongroom_error_last(&error) == STRONGROOM_OK ? (int)error.exit_code : 99);
}

#endif
