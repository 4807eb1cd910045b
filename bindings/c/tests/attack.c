/* Every function of the library with every wrong argument, from several threads:
 *
 *   attack list                                        names and arguments of what is attacked
 *   attack FINGERPRINT PRODUCT PROTECTED ROUNDS        does it
 *
 * A wrong argument is answered with its error, and what is open stays usable. Whatever else a
 * mistake does to memory is for the tools to see that the program runs under. */
#include "tell.h"

#include <pthread.h>
#include <string.h>

enum { THREADS = 4, ARGS = 6, KINDS = 5, WRONG = 16, LONG = 5000 };

/* An argument. */
typedef union {
    uint64_t n;
    void *p;
} arg;

/* A function. Its shape has one letter for each argument:
 *
 *   X Q C S F   a handle: context, search, container, seat, file
 *   x q c s f   a place for one
 *   b k         a buffer for a text, its capacity
 *   w m         a buffer for content, its length
 *   o z u l v   a place: for a length that nobody must want, a length, 32 bits, 64 bits, a vendor
 *   r g e       a structure with a size: requirement, grant, error
 *   a n p h     a text: sources or NULL, serial or NULL, path, fingerprint
 *   I P T N O   a number: index, part of what was found, part of an error, error, offset */
typedef struct {
    const char *name;
    const char *shape;
    uint32_t (*call)(const arg *a);
} target;

/* What a thread passes. */
typedef struct {
    uint64_t places[ARGS];
    char buffer[LONG + 1];
    struct {
        strongroom_requirement known;
        uint64_t newer;
    } requirement;
    strongroom_grant grant;
    strongroom_error error;
} scratch;

typedef struct {
    arg value;
    uint32_t error;
} wrong;

static const char KIND[] = "XQCSF";
/* Open handles of each kind, and closed ones whose place another object of the kind has taken. */
static uint64_t live[KINDS], closed[KINDS];
static char *fingerprint, *path;
static uint32_t product;
static char overlong[LONG + 1];
static char no_utf8[] = "\xff";
static char nonsense[] = "nonsense";

static strongroom_context X(arg a) { strongroom_context h; h.id = a.n; return h; }
static strongroom_search Q(arg a) { strongroom_search h; h.id = a.n; return h; }
static strongroom_container C(arg a) { strongroom_container h; h.id = a.n; return h; }
static strongroom_seat S(arg a) { strongroom_seat h; h.id = a.n; return h; }
static strongroom_file F(arg a) { strongroom_file h; h.id = a.n; return h; }
static uint32_t N(arg a) { return (uint32_t)a.n; }
static size_t Z(arg a) { return (size_t)a.n; }

#define FUNCTION(name, arguments) \
    static uint32_t call_##name(const arg *a) { return strongroom_##name arguments; }

FUNCTION(version, (a[0].p, Z(a[1]), a[2].p))
FUNCTION(context_open, (a[0].p, a[1].p))
FUNCTION(context_close, (X(a[0])))
FUNCTION(search_open, (X(a[0]), a[1].p))
FUNCTION(search_count, (Q(a[0]), a[1].p))
FUNCTION(search_text, (Q(a[0]), N(a[1]), N(a[2]), a[3].p, Z(a[4]), a[5].p))
FUNCTION(search_hindrance, (Q(a[0]), N(a[1])))
FUNCTION(search_close, (Q(a[0])))
FUNCTION(container_open, (X(a[0]), a[1].p, a[2].p))
FUNCTION(container_serial, (C(a[0]), a[1].p, Z(a[2]), a[3].p))
FUNCTION(container_why, (C(a[0]), a[1].p))
FUNCTION(container_close, (C(a[0])))
FUNCTION(vendor_parse, (a[0].p, a[1].p))
FUNCTION(seat_open, (C(a[0]), a[1].p, a[2].p))
FUNCTION(seat_open_for_file, (X(a[0]), a[1].p, a[2].p, a[3].p))
FUNCTION(seat_grant, (S(a[0]), a[1].p))
FUNCTION(seat_renew, (S(a[0])))
FUNCTION(seat_keep, (S(a[0])))
FUNCTION(seat_close, (S(a[0])))
FUNCTION(file_open, (X(a[0]), a[1].p, a[2].p, a[3].p))
FUNCTION(file_len, (F(a[0]), a[1].p))
FUNCTION(file_read, (F(a[0]), a[1].n, a[2].p, Z(a[3]), a[4].p))
FUNCTION(file_close, (F(a[0])))
FUNCTION(error_last, (a[0].p))
FUNCTION(error_text, (N(a[0]), a[1].p, Z(a[2]), a[3].p))
FUNCTION(explain, (N(a[0]), a[1].p))
FUNCTION(explain_text, (N(a[0]), N(a[1]), a[2].p, Z(a[3]), a[4].p))

#define TARGET(name, shape) {"strongroom_" #name, shape, call_##name}

static const target TARGETS[] = {
    TARGET(version, "bko"),
    TARGET(context_open, "ax"),
    TARGET(context_close, "X"),
    TARGET(search_open, "Xq"),
    TARGET(search_count, "Qu"),
    TARGET(search_text, "QIPbko"),
    TARGET(search_hindrance, "QI"),
    TARGET(search_close, "Q"),
    TARGET(container_open, "Xnc"),
    TARGET(container_serial, "Cbko"),
    TARGET(container_why, "Cr"),
    TARGET(container_close, "C"),
    TARGET(vendor_parse, "hv"),
    TARGET(seat_open, "Crs"),
    TARGET(seat_open_for_file, "Xnps"),
    TARGET(seat_grant, "Sg"),
    TARGET(seat_renew, "S"),
    TARGET(seat_keep, "S"),
    TARGET(seat_close, "S"),
    TARGET(file_open, "Xnpf"),
    TARGET(file_len, "Fl"),
    TARGET(file_read, "FOwmz"),
    TARGET(file_close, "F"),
    TARGET(error_last, "e"),
    TARGET(error_text, "Tbko"),
    TARGET(explain, "Ne"),
    TARGET(explain_text, "NTbko"),
};
enum { COUNT = sizeof TARGETS / sizeof *TARGETS };

static void fail(const char *name, size_t at, uint64_t value, uint32_t status, uint32_t expected) {
    fprintf(stderr, "%s, argument %u = %#llx: %#x instead of %#x\n", name, (unsigned)at,
            (unsigned long long)value, (unsigned)status, (unsigned)expected);
    exit(1);
}

static int kind_of(char letter) {
    const char *at = strchr(KIND, letter);
    return at == NULL || letter == 0 ? -1 : (int)(at - KIND);
}

/* The kind of handle that a place is for. */
static int opens(char letter) {
    return letter >= 'a' && letter <= 'z' ? kind_of((char)(letter - 'a' + 'A')) : -1;
}

/* An argument as it should be, in place `at` of the thread's. */
static arg right(char letter, size_t at, scratch *mine) {
    arg a;
    a.n = 0;
    if (kind_of(letter) >= 0) {
        a.n = live[kind_of(letter)];
        return a;
    }
    switch (letter) {
    case 'b': case 'w': a.p = mine->buffer; break;
    case 'k': case 'm': a.n = sizeof mine->buffer; break;
    case 'r': a.p = &mine->requirement; break;
    case 'g': a.p = &mine->grant; break;
    case 'e': a.p = &mine->error; break;
    case 'a': case 'n': case 'I': case 'O': break;
    case 'p': a.p = path; break;
    case 'h': a.p = fingerprint; break;
    case 'P': case 'T': a.n = 1; break;
    case 'N': a.n = STRONGROOM_ERROR_EXPIRED; break;
    default: a.p = &mine->places[at];
    }
    return a;
}

static void prepare(scratch *mine) {
    memset(mine, 0, sizeof *mine);
    mine->requirement.known.struct_size = sizeof mine->requirement.known;
    mine->requirement.known.product = product;
    mine->requirement.known.mode = STRONGROOM_MODE_TEST;
    must(strongroom_vendor_parse(fingerprint, &mine->requirement.known.vendor), "vendor");
    mine->grant.struct_size = sizeof mine->grant;
    mine->error.struct_size = sizeof mine->error;
}

/* The functions that open each kind and close it. */
static uint64_t opened(int kind, scratch *mine) {
    arg a[ARGS];
    size_t at, i;
    for (i = 0; i < COUNT; i++) {
        const char *shape = TARGETS[i].shape;
        if (opens(shape[strlen(shape) - 1]) != kind) {
            continue;
        }
        for (at = 0; shape[at] != 0; at++) {
            a[at] = right(shape[at], at, mine);
        }
        must(TARGETS[i].call(a), TARGETS[i].name);
        return mine->places[strlen(shape) - 1];
    }
    exit(2);
}

static uint32_t close_it(int kind, uint64_t id) {
    static uint32_t (*const CLOSE[KINDS])(const arg *) = {
        call_context_close, call_search_close, call_container_close, call_seat_close,
        call_file_close,
    };
    arg a;
    a.n = id;
    return CLOSE[kind](&a);
}

static size_t add(wrong *out, size_t count, uint64_t value, uint32_t error) {
    memset(&out[count], 0, sizeof out[count]);
    out[count].value.n = value;
    out[count].error = error;
    return count + 1;
}

static size_t add_at(wrong *out, size_t count, void *value, uint32_t error) {
    count = add(out, count, 0, error);
    out[count - 1].value.p = value;
    return count;
}

static size_t wrong_handles(int kind, wrong *out) {
    const uint32_t error = STRONGROOM_ERROR_HANDLE_UNKNOWN;
    size_t count = 0;
    int other;
    count = add(out, count, 0, error);
    count = add(out, count, closed[kind], error);
    count = add(out, count, live[kind] + ((uint64_t)1 << 32), error);
    count = add(out, count, live[kind] & 0xffffffff, error);
    count = add(out, count, live[kind] | 0xffffffff, error);
    count = add(out, count, UINT64_MAX, error);
    for (other = 0; other < KINDS; other++) {
        if (other != kind) {
            count = add(out, count, live[other], error);
        }
    }
    return count;
}

/* Wrong arguments for a letter that is no structure, with the error of each. */
static size_t wrongs(char letter, size_t at, scratch *mine, wrong *out) {
    const uint32_t error = STRONGROOM_ERROR_BAD_ARGUMENT;
    size_t count = 0;
    if (kind_of(letter) >= 0) {
        return wrong_handles(kind_of(letter), out);
    }
    if (letter == 'k') {
        count = add(out, count, 0, STRONGROOM_ERROR_BUFFER_SMALL);
        count = add(out, count, 1, STRONGROOM_ERROR_BUFFER_SMALL);
    }
    if (letter == 'k' || letter == 'm') {
        count = add(out, count, SIZE_MAX, error);
        return add(out, count, (uint64_t)SIZE_MAX / 2 + 1, error);
    }
    if (strchr("IPTN", letter) != NULL) {
        count = add(out, count, UINT32_MAX, error);
        return letter == 'I' ? count : add(out, count, 0, error);
    }
    if (strchr("anph", letter) != NULL) {
        count = add_at(out, count, no_utf8, error);
        count = add_at(out, count, overlong, error);
    }
    if (letter == 'h') {
        count = add_at(out, count, nonsense, error);
    }
    if (letter == 'a') {
        count = add_at(out, count, nonsense, STRONGROOM_ERROR_SOURCE_UNKNOWN);
    }
    if (strchr("anoO", letter) == NULL) {
        count = add_at(out, count, NULL, error);
    }
    if (strchr("xqcsfozul", letter) != NULL) {
        count = add_at(out, count, (char *)&mine->places[at] + 1, error);
    }
    return count;
}

/* A call with one wrong argument. */
static void attack(const target *to, arg *a, size_t at, uint32_t expected, scratch *mine) {
    const int counted = strstr(to->name, "_error_") == NULL && strstr(to->name, "_explain") == NULL;
    const size_t last = strlen(to->shape) - 1;
    strongroom_error told = {0};
    uint32_t status;
    mine->places[last] = 7;
    status = to->call(a);
    if (status != expected) {
        fail(to->name, at, a[at].n, status, expected);
    }
    told.struct_size = sizeof told;
    if (strongroom_error_last(&told) != 0 || (counted && told.number != status)) {
        fail("the error", at, a[at].n, told.number, status);
    }
    if (at != last && opens(to->shape[last]) >= 0 && mine->places[last] != 0) {
        fail("a handle after an error", last, mine->places[last], 0, 0);
    }
}

/* Structures with wrong sizes, and at wrong addresses. */
static void attack_structure(const target *to, arg *a, size_t at, scratch *mine) {
    static const uint32_t SIZES[] = {0, 1, 4, 31, 5000, UINT32_MAX};
    const uint32_t error = STRONGROOM_ERROR_BAD_ARGUMENT;
    uint32_t *size = a[at].p;
    const uint32_t right_size = *size;
    size_t i;
    for (i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        *size = SIZES[i];
        attack(to, a, at, error, mine);
    }
    *size = right_size;
    a[at].p = (char *)size + 1;
    attack(to, a, at, error, mine);
    a[at].p = NULL;
    attack(to, a, at, error, mine);
    a[at].p = size;
    if (to->shape[at] == 'r') {
        *size = sizeof mine->requirement;
        mine->requirement.newer = 1;
        attack(to, a, at, error, mine);
        mine->requirement.newer = 0;
        mine->requirement.known.access = 4;
        attack(to, a, at, error, mine);
        mine->requirement.known.access = 0;
        *size = right_size;
    }
}

static void attack_function(const target *to, scratch *mine) {
    arg a[ARGS];
    wrong list[WRONG];
    size_t at, i, count;
    const size_t last = strlen(to->shape) - 1;
    for (at = 0; at <= last; at++) {
        a[at] = right(to->shape[at], at, mine);
    }
    for (at = 0; at <= last; at++) {
        if (strchr("rge", to->shape[at]) != NULL) {
            attack_structure(to, a, at, mine);
            continue;
        }
        count = wrongs(to->shape[at], at, mine, list);
        for (i = 0; i < count; i++) {
            a[at] = list[i].value;
            attack(to, a, at, list[i].error, mine);
        }
        a[at] = right(to->shape[at], at, mine);
    }
    /* With nothing wrong it works, so that it was the one thing that was refused. */
    if (strstr(to->name, "_close") == NULL) {
        must(to->call(a), to->name);
        if (opens(to->shape[last]) >= 0) {
            must(close_it(opens(to->shape[last]), mine->places[last]), "close");
        }
    }
}

static void twice(scratch *mine) {
    int kind;
    for (kind = 0; kind < KINDS; kind++) {
        const uint64_t id = opened(kind, mine);
        must(close_it(kind, id), "close");
        if (close_it(kind, id) != STRONGROOM_ERROR_HANDLE_UNKNOWN) {
            fail("closed twice", 0, id, 0, STRONGROOM_ERROR_HANDLE_UNKNOWN);
        }
    }
}

/* Handles from nowhere: every number of a fixed row, before other threads open any. */
static void made_up(scratch *mine) {
    uint64_t id = 88172645463325252u;
    int i;
    for (i = 0; i < 10000; i++) {
        arg a[2];
        id ^= id << 13;
        id ^= id >> 7;
        id ^= id << 17;
        /* Small numbers too, where places and generations are. */
        a[0].n = i % 2 == 0 ? id : id & 0xf0000000f;
        a[1].p = &mine->places[1];
        if (a[0].n != live[1] && call_search_count(a) != STRONGROOM_ERROR_HANDLE_UNKNOWN) {
            fail("made up", 0, a[0].n, 0, STRONGROOM_ERROR_HANDLE_UNKNOWN);
        }
    }
}

static void *all(void *rounds) {
    scratch *mine = malloc(sizeof *mine);
    size_t i, round;
    if (mine == NULL) {
        exit(2);
    }
    prepare(mine);
    for (round = 0; round < *(size_t *)rounds; round++) {
        for (i = 0; i < COUNT; i++) {
            attack_function(&TARGETS[i], mine);
        }
        twice(mine);
    }
    free(mine);
    return NULL;
}

static pthread_barrier_t together;
static uint64_t contested;

/* Closes what others close and use: one of them succeeds. */
static void *contend(void *successes) {
    char text[64];
    arg a;
    a.n = contested;
    pthread_barrier_wait(&together);
    (void)strongroom_container_serial(C(a), text, sizeof text, NULL);
    *(uint32_t *)successes = strongroom_container_close(C(a)) == STRONGROOM_OK;
    return NULL;
}

static void race(scratch *mine) {
    pthread_t threads[THREADS];
    uint32_t successes[THREADS], sum = 0;
    int i;
    contested = opened(2, mine);
    pthread_barrier_init(&together, NULL, THREADS);
    for (i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, contend, &successes[i]);
    }
    for (i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        sum += successes[i];
    }
    pthread_barrier_destroy(&together);
    if (sum != 1) {
        fail("closed by several threads", 0, contested, sum, 1);
    }
}

/* In a thread that has nothing of its own any more. */
static void late(void *done) {
    char text[64];
    uint32_t round;
    for (round = 0; round < 2; round++) {
        if (strongroom_version(text, sizeof text, NULL) != STRONGROOM_OK ||
            strongroom_error_text(STRONGROOM_TEXT_TITLE, text, sizeof text, NULL) != STRONGROOM_OK) {
            return;
        }
    }
    *(uint32_t *)done = 1;
}

static void *leave(void *done) {
    pthread_key_t key;
    pthread_key_create(&key, late);
    pthread_setspecific(key, done);
    (void)strongroom_version(NULL, 0, NULL);
    return NULL;
}

static void set_up(scratch *mine) {
    int kind;
    memset(overlong, 'a', LONG);
    prepare(mine);
    for (kind = 0; kind < KINDS; kind++) {
        closed[kind] = opened(kind, mine);
        must(close_it(kind, closed[kind]), "close");
        live[kind] = opened(kind, mine);
        if ((uint32_t)live[kind] != (uint32_t)closed[kind]) {
            fail("the place of a closed handle", 0, live[kind], 0, (uint32_t)closed[kind]);
        }
    }
    {
        arg seat;
        seat.n = live[3];
        must(strongroom_seat_keep(S(seat)), "keep");
    }
}

int main(int argc, char **argv) {
    static scratch mine;
    pthread_t threads[THREADS];
    uint32_t done = 0;
    size_t i, rounds;
    if (argc == 2 && strcmp(argv[1], "list") == 0) {
        for (i = 0; i < COUNT; i++) {
            printf("%s %s\n", TARGETS[i].name, TARGETS[i].shape);
        }
        return 0;
    }
    if (argc != 5) {
        return 98;
    }
    fingerprint = argv[1];
    product = (uint32_t)strtoul(argv[2], NULL, 0);
    path = argv[3];
    rounds = strtoul(argv[4], NULL, 0);
    set_up(&mine);
    made_up(&mine);
    for (i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, all, &rounds);
    }
    for (i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    for (i = 0; i < rounds; i++) {
        race(&mine);
    }
    pthread_create(&threads[0], NULL, leave, &done);
    pthread_join(threads[0], NULL);
    if (done == 0) {
        fail("a thread that ends", 0, 0, 0, 0);
    }
    for (i = 0; i < KINDS; i++) {
        must(close_it((int)i, live[i]), "what was open all the time");
    }
    printf("attacked %u functions from %u threads\n", (unsigned)COUNT, (unsigned)THREADS);
    return 0;
}
