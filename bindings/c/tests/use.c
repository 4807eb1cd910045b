/* One use of a license, as its arguments say:
 *
 *   use FINGERPRINT PRODUCT why|seat|hold [features=N] [release=SECONDS] [access=N]
 *   use FINGERPRINT PRODUCT watch PROTECTED
 *
 * `hold` has the seat kept until standard input ends, `watch` until it is lost, with a protected
 * file open. */
#include "tell.h"

#include <string.h>

static void condition(strongroom_requirement *requirement, const char *word) {
    const char *value = strchr(word, '=');
    if (value == NULL) {
        fprintf(stderr, "no value: %s\n", word);
        exit(98);
    }
    if (strncmp(word, "features=", 9) == 0) {
        requirement->features = strtoull(value + 1, NULL, 0);
    } else if (strncmp(word, "release=", 8) == 0) {
        requirement->release_s = strtoull(value + 1, NULL, 0);
    } else if (strncmp(word, "access=", 7) == 0) {
        requirement->access = (uint32_t)strtoul(value + 1, NULL, 0);
    } else {
        fprintf(stderr, "unknown: %s\n", word);
        exit(98);
    }
}

/* Ends with the error of a lost license. */
static void watch(strongroom_context context, strongroom_seat seat, const char *path) {
    strongroom_file file;
    char byte;
    size_t done;
    must(strongroom_file_open(context, NULL, path, &file), "file");
    must(strongroom_file_read(file, 0, &byte, 1, &done), "read");
    must(strongroom_seat_keep(seat), "keep");
    puts("held");
    fflush(stdout);
    while (strongroom_seat_renew(seat) == STRONGROOM_OK) {
    }
    tell("lost");
    while (strongroom_file_read(file, 0, &byte, 1, &done) == STRONGROOM_OK) {
    }
    if (done != 0) {
        exit(97);
    }
    must(strongroom_file_read(file, 0, &byte, 1, &done), "read");
}

/* Keeps a seat as long as standard input is open. */
static void hold(strongroom_seat seat) {
    must(strongroom_seat_keep(seat), "keep");
    puts("held");
    fflush(stdout);
    while (getchar() != EOF) {
    }
    must(strongroom_seat_renew(seat), "kept");
}

int main(int argc, char **argv) {
    strongroom_context context;
    strongroom_container container;
    strongroom_seat seat;
    strongroom_requirement requirement = {0};
    const int watches = argc == 5 && strcmp(argv[3], "watch") == 0;
    int at;
    if (argc < 4) {
        return 98;
    }
    requirement.struct_size = sizeof requirement;
    requirement.mode = STRONGROOM_MODE_TEST;
    requirement.product = (uint32_t)strtoul(argv[2], NULL, 0);
    must(strongroom_vendor_parse(argv[1], &requirement.vendor), "vendor");
    for (at = 4; at < argc && !watches; at++) {
        condition(&requirement, argv[at]);
    }
    must(strongroom_context_open(NULL, &context), "context");
    must(strongroom_container_open(context, NULL, &container), "container");
    if (strcmp(argv[3], "why") == 0) {
        must(strongroom_container_why(container, &requirement), "why");
    } else {
        must(strongroom_seat_open(container, &requirement, &seat), "seat");
        must(strongroom_seat_renew(seat), "renew");
        if (watches) {
            watch(context, seat, argv[4]);
        } else if (strcmp(argv[3], "hold") == 0) {
            hold(seat);
        }
        must(strongroom_seat_close(seat), "close");
    }
    must(strongroom_container_close(container), "container");
    must(strongroom_context_close(context), "context");
    puts("allowed");
    return 0;
}
