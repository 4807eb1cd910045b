/* All of the library, once:
 *
 *   tour FINGERPRINT PRODUCT PROTECTED PLAIN
 *
 * finds the container, asks for the product, takes a seat, and compares the contents of PROTECTED,
 * read here and there, with PLAIN. */
#include "tell.h"

#include <string.h>

static strongroom_context context;
static strongroom_container container;
static strongroom_requirement requirement;

/* A call that must be refused so. */
static void refused(uint32_t status, uint32_t expected, const char *what) {
    if (status != expected) {
        fprintf(stderr, "%s: %#x instead of %#x\n", what, (unsigned)status, (unsigned)expected);
        exit(97);
    }
    tell(what);
}

static void find(strongroom_context in) {
    strongroom_search search;
    uint32_t count, at;
    must(strongroom_search_open(in, &search), "search");
    must(strongroom_search_count(search, &count), "count");
    for (at = 0; at < count; at++) {
        char serial[64], name[256], source[1024];
        must(strongroom_search_text(search, at, STRONGROOM_FOUND_SERIAL, serial, sizeof serial,
                                    NULL), "serial");
        must(strongroom_search_text(search, at, STRONGROOM_FOUND_NAME, name, sizeof name, NULL),
             "name");
        must(strongroom_search_text(search, at, STRONGROOM_FOUND_SOURCE, source, sizeof source,
                                    NULL), "source");
        printf("found %s \"%s\"%s\n", serial, name, source[0] != 0 ? "" : " nowhere");
        if (strongroom_search_hindrance(search, at) != STRONGROOM_OK) {
            tell("hindered");
        }
    }
    must(strongroom_search_close(search), "search");
}

/* Where nothing is. */
static void find_nothing(void) {
    strongroom_context nowhere;
    strongroom_container none;
    must(strongroom_context_open("sim:/nowhere", &nowhere), "context");
    find(nowhere);
    refused(strongroom_container_open(nowhere, NULL, &none), STRONGROOM_ERROR_SOURCE_FAILED,
            "no container");
    must(strongroom_context_close(nowhere), "context");
    refused(strongroom_context_open("usb,floppy", &nowhere), STRONGROOM_ERROR_SOURCE_UNKNOWN,
            "another source");
}

static void open_by_serial(void) {
    char serial[64];
    strongroom_container only;
    must(strongroom_container_open(context, NULL, &only), "container");
    must(strongroom_container_serial(only, serial, sizeof serial, NULL), "serial");
    must(strongroom_container_open(context, serial, &container), "container by its serial");
    must(strongroom_container_close(only), "container");
    refused(strongroom_container_open(context, "DONGLE-0000-0000-0000", &only),
            STRONGROOM_ERROR_CONTAINER_UNKNOWN, "another serial");
}

static void ask(void) {
    strongroom_requirement other = requirement;
    must(strongroom_container_why(container, &requirement), "why");
    other.product++;
    refused(strongroom_container_why(container, &other), STRONGROOM_ERROR_PRODUCT_UNKNOWN,
            "another product");
    other = requirement;
    other.mode = STRONGROOM_MODE_LIVE;
    refused(strongroom_container_why(container, &other), STRONGROOM_ERROR_TEST_CONTAINER,
            "a live license");
}

/* As a program does whose header is newer than the library. */
static void ask_as_newer(void) {
    struct {
        strongroom_requirement known;
        uint64_t newer;
    } grown;
    grown.known = requirement;
    grown.known.struct_size = sizeof grown;
    grown.newer = 0;
    must(strongroom_container_why(container, &grown.known), "why, with more that is zero");
    grown.newer = 1;
    refused(strongroom_container_why(container, &grown.known), STRONGROOM_ERROR_BAD_ARGUMENT,
            "more than is known");
}

static void sit(const char *path) {
    strongroom_seat seat, second;
    strongroom_grant grant = {0};
    must(strongroom_seat_open(container, &requirement, &seat), "seat");
    grant.struct_size = sizeof grant;
    must(strongroom_seat_grant(seat, &grant), "grant");
    printf("a sign of life is due every %u s, the latest after %u s\n", (unsigned)grant.interval_s,
           (unsigned)grant.timeout_s);
    must(strongroom_seat_renew(seat), "renew");
    must(strongroom_seat_keep(seat), "keep");
    must(strongroom_seat_keep(seat), "keep twice");
    must(strongroom_seat_renew(seat), "kept");
    refused(strongroom_seat_open_for_file(context, NULL, path, &second), STRONGROOM_ERROR_NO_SEAT,
            "a second seat");
    must(strongroom_seat_close(seat), "close");
    must(strongroom_seat_open_for_file(context, NULL, path, &second), "a seat for the file");
    must(strongroom_seat_close(second), "close");
    refused(strongroom_seat_renew(seat), STRONGROOM_ERROR_HANDLE_UNKNOWN, "a closed seat");
}

/* A whole file of a test. */
static char *plain(const char *path, size_t *len) {
    FILE *file = fopen(path, "rb");
    char *bytes = malloc(1 << 20);
    if (file == NULL || bytes == NULL) {
        exit(96);
    }
    *len = fread(bytes, 1, 1 << 20, file);
    fclose(file);
    return bytes;
}

static void read_at(strongroom_file file, const char *expected, size_t len, size_t offset,
                    size_t wanted) {
    char *buffer = malloc(wanted + 1);
    size_t done, can = offset < len ? len - offset : 0;
    if (buffer == NULL) {
        exit(96);
    }
    must(strongroom_file_read(file, offset, buffer, wanted, &done), "read");
    if (done != (wanted < can ? wanted : can) || memcmp(buffer, expected + offset, done) != 0) {
        fprintf(stderr, "%lu bytes at %lu differ\n", (unsigned long)wanted, (unsigned long)offset);
        exit(95);
    }
    free(buffer);
}

static void read_file(const char *path, const char *plain_path) {
    static const size_t places[] = {0, 1, 16383, 16384, 16385, 40000};
    strongroom_file file;
    uint64_t told;
    size_t len, at;
    char *expected = plain(plain_path, &len);
    must(strongroom_file_open(context, NULL, path, &file), "file");
    must(strongroom_file_len(file, &told), "length");
    if (told != len) {
        exit(94);
    }
    for (at = 0; at < sizeof places / sizeof *places; at++) {
        read_at(file, expected, len, places[at], 1);
        read_at(file, expected, len, places[at], 20000);
        read_at(file, expected, len, places[at], len);
    }
    read_at(file, expected, len, len - 1, 10);
    read_at(file, expected, len, len, 10);
    must(strongroom_file_read(file, UINT64_MAX, NULL, 0, &at), "nothing");
    must(strongroom_file_close(file), "close");
    printf("read %lu bytes\n", (unsigned long)len);
    refused(strongroom_file_open(context, NULL, plain_path, &file),
            STRONGROOM_ERROR_NOT_STRONGROOM, "a plain file");
    refused(strongroom_file_open(context, NULL, "/nowhere", &file),
            STRONGROOM_ERROR_FILE_UNREADABLE, "no file");
    free(expected);
}

static void explain(void) {
    char text[256];
    size_t needed;
    strongroom_error error = {0};
    error.struct_size = sizeof error;
    must(strongroom_explain(STRONGROOM_ERROR_EXPIRED, &error), "explain");
    must(strongroom_explain_text(STRONGROOM_ERROR_EXPIRED, STRONGROOM_TEXT_TITLE, text,
                                 sizeof text, &needed), "explain");
    printf("%04x: %s; fault %u, exit %u, %lu bytes\n", (unsigned)error.number, text,
           (unsigned)error.fault, (unsigned)error.exit_code, (unsigned long)needed);
}

int main(int argc, char **argv) {
    char version[16];
    if (argc != 5) {
        return 98;
    }
    must(strongroom_version(version, sizeof version, NULL), "version");
    printf("version %s\n", version);
    requirement.struct_size = sizeof requirement;
    requirement.mode = STRONGROOM_MODE_TEST;
    requirement.product = (uint32_t)strtoul(argv[2], NULL, 0);
    must(strongroom_vendor_parse(argv[1], &requirement.vendor), "vendor");
    must(strongroom_context_open(NULL, &context), "context");
    find(context);
    find_nothing();
    open_by_serial();
    ask();
    ask_as_newer();
    sit(argv[3]);
    read_file(argv[3], argv[4]);
    explain();
    must(strongroom_container_close(container), "container");
    must(strongroom_context_close(context), "context");
    return 0;
}
