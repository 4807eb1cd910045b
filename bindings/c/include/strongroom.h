/* Strongroom in C99 and C++11: find a license container, use a license, read protected files.
 *
 * Made by `cargo xtask header`: change the sources in bindings/c/src instead.
 *
 * Each function answers with 0, or with a number of the error table: one of STRONGROOM_ERROR_ below
 * or, from a newer container, another. strongroom_error_last and strongroom_error_text tell more
 * about the last call of the same thread.
 *
 * Handles are numbers. A handle that is zero, closed or of another kind is refused with
 * STRONGROOM_ERROR_HANDLE_UNKNOWN. All functions may be called from all threads; an object that one
 * thread closes lives on while another still uses it. A child of fork() opens its own.
 *
 * Pointers: NULL is refused where the text does not name it, and so is what is not aligned. All
 * else that a pointer says is the caller's word: it points to memory that may be written, or read
 * where it is const, for as long as the call lasts, and of the length that is named beside it. What
 * a call gives is set to zero first, so it is zero after an error. Texts are UTF-8 and end with a
 * zero; those given are of 4096 bytes at most.
 *
 * Texts come into the caller's buffer of `capacity` bytes; `needed`, if not NULL, is told how many
 * the text and its end need. With a NULL buffer only that is told. A buffer that is too small is
 * refused with STRONGROOM_ERROR_BUFFER_SMALL, and holds an empty text.
 *
 * Structures with `struct_size` grow at their end in later versions. Set them to zero first, then
 * that field.
 */

#ifndef STRONGROOM_H
#define STRONGROOM_H

#include <stddef.h>
#include <stdint.h>

/* No error. */
#define STRONGROOM_OK 0

/* What each says and what to do: strongroom_explain_text, strongroom explain. */
#define STRONGROOM_ERROR_MALFORMED 0x0101
#define STRONGROOM_ERROR_TOO_LONG 0x0102
#define STRONGROOM_ERROR_NEWER_VERSION 0x0103
#define STRONGROOM_ERROR_UNKNOWN_COMMAND 0x0104
#define STRONGROOM_ERROR_NOT_STRONGROOM 0x0105
#define STRONGROOM_ERROR_OTHER_FILE_KIND 0x0106
#define STRONGROOM_ERROR_CUT_SHORT 0x0107
#define STRONGROOM_ERROR_HANDSHAKE_FAILED 0x0201
#define STRONGROOM_ERROR_CHANNEL_DEAD 0x0202
#define STRONGROOM_ERROR_TOO_MANY_SESSIONS 0x0203
#define STRONGROOM_ERROR_DEVICE_SILENT 0x0204
#define STRONGROOM_ERROR_DEVICE_GARBAGE 0x0205
#define STRONGROOM_ERROR_CERTIFICATE_REFUSED 0x0206
#define STRONGROOM_ERROR_TEST_CONTAINER 0x0207
#define STRONGROOM_ERROR_LIVE_CONTAINER 0x0208
#define STRONGROOM_ERROR_CONTAINER_CHANGED 0x0209
#define STRONGROOM_ERROR_CONTAINER_LOCKED 0x0301
#define STRONGROOM_ERROR_FIRM_UNKNOWN 0x0310
#define STRONGROOM_ERROR_FIRM_LOCKED 0x0311
#define STRONGROOM_ERROR_PRODUCT_UNKNOWN 0x0320
#define STRONGROOM_ERROR_FEATURES_MISSING 0x0321
#define STRONGROOM_ERROR_PARENT_MISSING 0x0322
#define STRONGROOM_ERROR_ACCESS_CODE_WRONG 0x0325
#define STRONGROOM_ERROR_DATA_UNKNOWN 0x0326
#define STRONGROOM_ERROR_DATA_SECRET 0x0327
#define STRONGROOM_ERROR_SUSPENDED 0x0330
#define STRONGROOM_ERROR_RUNTIME_OLD 0x0340
#define STRONGROOM_ERROR_REGION_REFUSED 0x0350
#define STRONGROOM_ERROR_CERTIFIED_TIME_OLD 0x0361
#define STRONGROOM_ERROR_TIME_NOT_FRESH 0x0362
#define STRONGROOM_ERROR_SYNC_OVERDUE 0x0363
#define STRONGROOM_ERROR_HOST_TIME_MISSING 0x0364
#define STRONGROOM_ERROR_HOST_TIME_FAR 0x0365
#define STRONGROOM_ERROR_NOT_YET_ACTIVE 0x0370
#define STRONGROOM_ERROR_EXPIRED 0x0380
#define STRONGROOM_ERROR_USAGE_OVER 0x0390
#define STRONGROOM_ERROR_LAPSED 0x03a0
#define STRONGROOM_ERROR_MAINTENANCE_UNDATED 0x03b0
#define STRONGROOM_ERROR_MAINTENANCE_NOT_YET 0x03b1
#define STRONGROOM_ERROR_MAINTENANCE_OVER 0x03b2
#define STRONGROOM_ERROR_OTHER_USER 0x03c0
#define STRONGROOM_ERROR_OTHER_USER_KEY 0x03c1
#define STRONGROOM_ERROR_NO_UNITS 0x03d0
#define STRONGROOM_ERROR_RESERVATION_LARGE 0x03d1
#define STRONGROOM_ERROR_TOO_MANY_RESERVATIONS 0x03d2
#define STRONGROOM_ERROR_RESERVATION_UNKNOWN 0x03d3
#define STRONGROOM_ERROR_RESERVATION_LESS 0x03d4
#define STRONGROOM_ERROR_USAGE_LOG_FULL 0x03d5
#define STRONGROOM_ERROR_NO_SEAT 0x03e0
#define STRONGROOM_ERROR_ACCESS_MODE_UNSUPPORTED 0x03e1
#define STRONGROOM_ERROR_STATION_UNKNOWN 0x03e5
#define STRONGROOM_ERROR_STATION_BUSY 0x03e6
#define STRONGROOM_ERROR_MODE_DENIED 0x03e4
#define STRONGROOM_ERROR_SEAT_UNKNOWN 0x03e2
#define STRONGROOM_ERROR_SEAT_GONE 0x03e3
#define STRONGROOM_ERROR_SEAT_QUARANTINE 0x03e7
#define STRONGROOM_ERROR_REPLUG_TOO_FAST 0x03e8
#define STRONGROOM_ERROR_KEY_MISSING 0x03f0
#define STRONGROOM_ERROR_KEY_MISMATCH 0x03f1
#define STRONGROOM_ERROR_BLOCK_REFUSED 0x03f2
#define STRONGROOM_ERROR_UPDATE_SIGNATURE 0x0401
#define STRONGROOM_ERROR_UPDATE_OTHER_CONTAINER 0x0402
#define STRONGROOM_ERROR_UPDATE_OTHER_FIRM 0x0403
#define STRONGROOM_ERROR_UPDATE_OLD 0x0404
#define STRONGROOM_ERROR_UPDATE_AHEAD 0x0405
#define STRONGROOM_ERROR_UPDATE_OTHER_STATE 0x0406
#define STRONGROOM_ERROR_UPDATE_LATE 0x0407
#define STRONGROOM_ERROR_UPDATE_BODY 0x0408
#define STRONGROOM_ERROR_UPDATE_OP 0x040a
#define STRONGROOM_ERROR_ITEM_UNKNOWN 0x040b
#define STRONGROOM_ERROR_KEY_SEAL 0x040c
#define STRONGROOM_ERROR_TOO_MANY_FIRMS 0x040d
#define STRONGROOM_ERROR_NO_UPDATE 0x040e
#define STRONGROOM_ERROR_CHUNK_OFFSET 0x040f
#define STRONGROOM_ERROR_UPDATE_BUSY 0x0410
#define STRONGROOM_ERROR_ROOT_NEEDED 0x0411
#define STRONGROOM_ERROR_ROOT_REFUSED 0x0412
#define STRONGROOM_ERROR_NO_RECEIPT 0x0413
#define STRONGROOM_ERROR_NO_PARENT 0x0414
#define STRONGROOM_ERROR_UNITS_OVERFLOW 0x0415
#define STRONGROOM_ERROR_USAGE_ENTRIES_GONE 0x0416
#define STRONGROOM_ERROR_ACK_SIGNATURE 0x0417
#define STRONGROOM_ERROR_ACK_FORK 0x0418
#define STRONGROOM_ERROR_USER_PROOF 0x0419
#define STRONGROOM_ERROR_SUITE_FOR_HOSTS 0x041a
#define STRONGROOM_ERROR_ROOT_OLD 0x0420
#define STRONGROOM_ERROR_ROOT_SKIPPED 0x0421
#define STRONGROOM_ERROR_ROOT_UNSIGNED 0x0422
#define STRONGROOM_ERROR_REVOCATION_OLD 0x0423
#define STRONGROOM_ERROR_REVOCATION_REFUSED 0x0424
#define STRONGROOM_ERROR_REVOCATION_OTHER_ROOT 0x0425
#define STRONGROOM_ERROR_REVOCATION_NEEDED 0x0426
#define STRONGROOM_ERROR_KEY_REVOKED 0x0427
#define STRONGROOM_ERROR_DELEGATION_REFUSED 0x0428
#define STRONGROOM_ERROR_DELEGATION_OVER 0x0429
#define STRONGROOM_ERROR_DELEGATION_PRODUCT 0x042a
#define STRONGROOM_ERROR_DELEGATION_QUANTITY 0x042b
#define STRONGROOM_ERROR_RECOVERY_OP 0x042c
#define STRONGROOM_ERROR_CONTAINER_REVOKED 0x042d
#define STRONGROOM_ERROR_FIRMWARE_REVOKED 0x042e
#define STRONGROOM_ERROR_REVOCATION_STALE 0x042f
#define STRONGROOM_ERROR_NO_TIME 0x0501
#define STRONGROOM_ERROR_NONCE_UNKNOWN 0x0502
#define STRONGROOM_ERROR_TOKEN_SIGNATURE 0x0503
#define STRONGROOM_ERROR_TOKEN_EARLIER 0x0504
#define STRONGROOM_ERROR_STORE_FULL 0x0601
#define STRONGROOM_ERROR_STORE_FAILED 0x0602
#define STRONGROOM_ERROR_RANDOM_FAILED 0x0603
#define STRONGROOM_ERROR_TOO_MANY_SEATS 0x0604
#define STRONGROOM_ERROR_INTERRUPTED 0x0605
#define STRONGROOM_ERROR_PIN_NEEDED 0x0606
#define STRONGROOM_ERROR_PIN_WRONG 0x0607
#define STRONGROOM_ERROR_PIN_LOCKED 0x0608
#define STRONGROOM_ERROR_RECOVERY_WRONG 0x0609
#define STRONGROOM_ERROR_NO_PIN 0x060a
#define STRONGROOM_ERROR_DECOMMISSIONED 0x060b
#define STRONGROOM_ERROR_NOT_DECOMMISSIONED 0x060c
#define STRONGROOM_ERROR_VENDOR_KEY_MISSING 0x060d
#define STRONGROOM_ERROR_VENDOR_KEYS_FULL 0x060e
#define STRONGROOM_ERROR_PIN_NOT_SET 0x060f
#define STRONGROOM_ERROR_PIN_KEPT 0x0610
#define STRONGROOM_ERROR_NO_CONTAINER 0x0801
#define STRONGROOM_ERROR_SEVERAL_CONTAINERS 0x0802
#define STRONGROOM_ERROR_CONTAINER_UNKNOWN 0x0803
#define STRONGROOM_ERROR_SOURCE_UNKNOWN 0x0804
#define STRONGROOM_ERROR_SOURCE_FAILED 0x0805
#define STRONGROOM_ERROR_NO_PERMISSION 0x0806
#define STRONGROOM_ERROR_CONFIGURATION 0x0807
#define STRONGROOM_ERROR_USER_KEY_FILE 0x0808
#define STRONGROOM_ERROR_BAD_ARGUMENT 0x0881
#define STRONGROOM_ERROR_HANDLE_UNKNOWN 0x0882
#define STRONGROOM_ERROR_BUFFER_SMALL 0x0883
#define STRONGROOM_ERROR_TOO_MANY_HANDLES 0x0884
#define STRONGROOM_ERROR_FILE_UNREADABLE 0x0885
#define STRONGROOM_ERROR_DEFECT 0x0886
#define STRONGROOM_ERROR_ARTIFACT_BROKEN 0x0901
#define STRONGROOM_ERROR_CONTENT_BROKEN 0x0902
#define STRONGROOM_ERROR_UNSUITABLE 0x0903
#define STRONGROOM_ERROR_TRACER_ATTACHED 0x0904
#define STRONGROOM_ERROR_SET_USER_ID 0x0905
#define STRONGROOM_ERROR_NO_MEMORY 0x0906
#define STRONGROOM_ERROR_EXEC_REFUSED 0x0907
#define STRONGROOM_ERROR_ADDRESS_TAKEN 0x0908
#define STRONGROOM_ERROR_LOADER_MISSING 0x0909
#define STRONGROOM_ERROR_INTERPRETER_MISSING 0x090a
#define STRONGROOM_ERROR_NO_PROC 0x0910
#define STRONGROOM_ERROR_LICENSE_SILENT 0x0911
#define STRONGROOM_ERROR_NO_TIMER 0x0912
#define STRONGROOM_ERROR_NO_THREAD 0x0913
#define STRONGROOM_ERROR_NO_FORK_HOOK 0x0914
#define STRONGROOM_ERROR_LOADER_FAILED 0x0915
#define STRONGROOM_ERROR_NOT_MAPPABLE 0x0916
#define STRONGROOM_ERROR_VENDOR_DIRECTORY 0x0a01
#define STRONGROOM_ERROR_VENDOR_PASSPHRASE 0x0a02
#define STRONGROOM_ERROR_PRODUCT_NOT_DEFINED 0x0a03
#define STRONGROOM_ERROR_CONTEXT_REFUSED 0x0a04
#define STRONGROOM_ERROR_TOO_MANY_OUTSTANDING 0x0a05
#define STRONGROOM_ERROR_CONTEXT_DIFFERS 0x0a06
#define STRONGROOM_ERROR_RECEIPT_REFUSED 0x0a07
#define STRONGROOM_ERROR_ALREADY_THERE 0x0a08
#define STRONGROOM_ERROR_PROOF_REFUSED 0x0a30
#define STRONGROOM_ERROR_PROOF_OTHER 0x0a31
#define STRONGROOM_ERROR_LOG_REFUSED 0x0a40
#define STRONGROOM_ERROR_LOG_BROKEN 0x0a41
#define STRONGROOM_ERROR_LOG_FORK 0x0a42
#define STRONGROOM_ERROR_LOG_MISSING 0x0a43
#define STRONGROOM_ERROR_NOT_PERMITTED 0x0a09
#define STRONGROOM_ERROR_TOKEN_MODULE 0x0a0a
#define STRONGROOM_ERROR_TOKEN_MISSING 0x0a0b
#define STRONGROOM_ERROR_TOKEN_PIN 0x0a0c
#define STRONGROOM_ERROR_TOKEN_LOCKED 0x0a0d
#define STRONGROOM_ERROR_TOKEN_KEY_MISSING 0x0a0e
#define STRONGROOM_ERROR_TOKEN_FAILED 0x0a0f
#define STRONGROOM_ERROR_SHARES_MISSING 0x0a10
#define STRONGROOM_ERROR_SHARE_DAMAGED 0x0a11
#define STRONGROOM_ERROR_SHARE_OTHER 0x0a12
#define STRONGROOM_ERROR_CONTAINER_RETIRED 0x0a13
#define STRONGROOM_ERROR_INVENTORY_REFUSED 0x0a14
#define STRONGROOM_ERROR_BUNDLE_REFUSED 0x0a20
#define STRONGROOM_ERROR_BUNDLE_DIFFERS 0x0a21
#define STRONGROOM_ERROR_TICKET_UNKNOWN 0x0b01
#define STRONGROOM_ERROR_TICKET_MISTYPED 0x0b02
#define STRONGROOM_ERROR_TICKET_USED_UP 0x0b03
#define STRONGROOM_ERROR_TICKET_CLOSED 0x0b04
#define STRONGROOM_ERROR_RECORD_MISSING 0x0b05
#define STRONGROOM_ERROR_RECORD_CHANGED 0x0b06
#define STRONGROOM_ERROR_RECORD_TAKEN 0x0b07
#define STRONGROOM_ERROR_REQUEST_MALFORMED 0x0b08
#define STRONGROOM_ERROR_NOT_LOGGED_IN 0x0b09
#define STRONGROOM_ERROR_ROLE_MISSING 0x0b0a
#define STRONGROOM_ERROR_KEY_REUSED 0x0b0b
#define STRONGROOM_ERROR_STORE_UNAVAILABLE 0x0b0c
#define STRONGROOM_ERROR_SIGNER_UNAVAILABLE 0x0b0d
#define STRONGROOM_ERROR_SIGNER_REFUSED 0x0b0e
#define STRONGROOM_ERROR_CONTAINER_BLOCKED 0x0b0f
#define STRONGROOM_ERROR_CONTAINER_DIFFERS 0x0b10
#define STRONGROOM_ERROR_BODY_TOO_LARGE 0x0b12
#define STRONGROOM_ERROR_SERVER_FAILED 0x0b13
#define STRONGROOM_ERROR_SERVER_UNREACHABLE 0x0b14
#define STRONGROOM_ERROR_RECEIPT_UNKNOWN 0x0b16
#define STRONGROOM_ERROR_UNITS_STAY 0x0b18
#define STRONGROOM_ERROR_GRANT_WITHDRAWN 0x0b19
#define STRONGROOM_ERROR_CONTAINER_UNDECIDED 0x0b1a
#define STRONGROOM_ERROR_CONTEXT_OLD 0x0b1b
#define STRONGROOM_ERROR_LICENSE_SUSPENDED_HERE 0x0b1c
#define STRONGROOM_ERROR_LICENSE_ASSIGNED 0x0b1d
#define STRONGROOM_ERROR_RESTORE_REFUSED 0x0b1e
#define STRONGROOM_ERROR_RESTORE_TOO_OFTEN 0x0b1f
#define STRONGROOM_ERROR_CAP_OF_UPDATE 0x0b30
#define STRONGROOM_ERROR_CAP_OF_DAY 0x0b31
#define STRONGROOM_ERROR_CAP_OF_PRODUCT 0x0b32
#define STRONGROOM_ERROR_LEAF_REFUSED 0x0b33
#define STRONGROOM_ERROR_LEAF_DIFFERS 0x0b34
#define STRONGROOM_ERROR_JOURNAL_UNSHOWN 0x0b35
#define STRONGROOM_ERROR_JOURNAL_AHEAD 0x0b36
#define STRONGROOM_ERROR_JOURNAL_BEHIND 0x0b37
#define STRONGROOM_ERROR_JOURNAL_DAMAGED 0x0b38
#define STRONGROOM_ERROR_BACKUP_DAMAGED 0x0b39
#define STRONGROOM_ERROR_STORE_FILLED 0x0b3a
#define STRONGROOM_ERROR_TOO_MANY_REQUESTS 0x0b50
#define STRONGROOM_ERROR_REQUEST_TOO_SLOW 0x0b51
#define STRONGROOM_ERROR_MEDIA_TYPE_WRONG 0x0b52
#define STRONGROOM_ERROR_HEADERS_TOO_LARGE 0x0b53
#define STRONGROOM_ERROR_WEBHOOK_ADDRESS 0x0b54
#define STRONGROOM_ERROR_LICENSE_NOT_SERVED 0x0b40
#define STRONGROOM_ERROR_OPTION_NOT_SERVED 0x0b41
#define STRONGROOM_ERROR_SEATS_TAKEN 0x0b42
#define STRONGROOM_ERROR_SEAT_OVER 0x0b43
#define STRONGROOM_ERROR_SEAT_OUT_OF_TURN 0x0b44
#define STRONGROOM_ERROR_SESSION_REFUSED 0x0b45
#define STRONGROOM_ERROR_SERVING_ENDS 0x0b46
#define STRONGROOM_ERROR_CREDENTIAL_REFUSED 0x0b47
#define STRONGROOM_ERROR_LEASE_REFUSED 0x0b48
#define STRONGROOM_ERROR_LEASE_SUITE 0x0b49
#define STRONGROOM_ERROR_LEASE_OVER 0x0b4a
#define STRONGROOM_ERROR_SEATS_WAIT 0x0b4b
#define STRONGROOM_ERROR_CLOCK_SET_BACK 0x0b90
#define STRONGROOM_ERROR_ROOT_OLDER 0x0b91
#define STRONGROOM_ERROR_ROOT_DIFFERS 0x0b92
#define STRONGROOM_ERROR_REVOCATIONS_OLDER 0x0b93
#define STRONGROOM_ERROR_MODULE_ALONE 0x0b94
#define STRONGROOM_ERROR_KEY_GONE 0x0b95
#define STRONGROOM_ERROR_SOFT_STALE 0x0c01
#define STRONGROOM_ERROR_SOFT_FOREIGN 0x0c02
#define STRONGROOM_ERROR_SOFT_GONE 0x0c03
#define STRONGROOM_ERROR_SOFT_ALIEN 0x0c04
#define STRONGROOM_ERROR_SOFT_COUNTER_BACK 0x0c05
#define STRONGROOM_ERROR_SOFT_TIME_BACK 0x0c06
#define STRONGROOM_ERROR_SOFT_TRAITS 0x0c07
#define STRONGROOM_ERROR_SOFT_GRACE_OVER 0x0c08
#define STRONGROOM_ERROR_SOFT_DAMAGED 0x0c0a
#define STRONGROOM_ERROR_SOFT_UNCERTIFIED 0x0c0b
#define STRONGROOM_ERROR_SOFT_OTHER_FIRM 0x0c0c
#define STRONGROOM_ERROR_ANSWER_OTHER 0x0c72
#define STRONGROOM_ERROR_SOFT_INDISTINCT 0x0c0d
#define STRONGROOM_ERROR_SOFT_REBIND_UNCHECKED 0x0c0e
#define STRONGROOM_ERROR_SOFT_REBIND_SOON 0x0c0f
#define STRONGROOM_ERROR_SOFT_NEEDS_TRAITS 0x0c10
#define STRONGROOM_ERROR_TPM_ABSENT 0x0c20
#define STRONGROOM_ERROR_TPM_PASSWORD 0x0c21
#define STRONGROOM_ERROR_TPM_BUSY 0x0c22
#define STRONGROOM_ERROR_TPM_LOCKOUT 0x0c23
#define STRONGROOM_ERROR_TPM_FULL 0x0c24
#define STRONGROOM_ERROR_TPM_DISABLED 0x0c25
#define STRONGROOM_ERROR_TPM_EXHAUSTED 0x0c26
#define STRONGROOM_ERROR_TPM_FAILED 0x0c27
#define STRONGROOM_ERROR_ENROLLMENT_REFUSED 0x0c60
#define STRONGROOM_ERROR_ENROLLMENT_UNKNOWN 0x0c61
#define STRONGROOM_ERROR_ENROLLMENT_TAKEN 0x0c63
#define STRONGROOM_ERROR_TPM_UNPROVEN 0x0c62
#define STRONGROOM_ERROR_CONTAINER_FORKED 0x0c70
#define STRONGROOM_ERROR_COPY_NOT_ADOPTED 0x0c71
#define STRONGROOM_ERROR_TAKE_OVER_TOO_OFTEN 0x0c64
#define STRONGROOM_ERROR_TAKE_OVER_ELSEWHERE 0x0c65
#define STRONGROOM_ERROR_TAKE_OVER_STOPPED 0x0c66
#define STRONGROOM_ERROR_SOFT_REPLACED 0x0c67
#define STRONGROOM_ERROR_PHYSICAL_TPM_NEEDED 0x0c68
#define STRONGROOM_ERROR_END_NEEDED 0x0c69
#define STRONGROOM_ERROR_VIRTUAL_REFUSED 0x0c6a
#define STRONGROOM_ERROR_HELPER_MISSING 0x0c40
#define STRONGROOM_ERROR_HELPER_FAILED 0x0c41
#define STRONGROOM_ERROR_HELPER_PRIVATE 0x0c42


/**
 * One seat for each open handle.
 */
#define STRONGROOM_ACCESS_USER_LIMIT 0

/**
 * One seat for each machine, terminal session, container or pod.
 */
#define STRONGROOM_ACCESS_STATION_SHARE 1

/**
 * One instance for each station.
 */
#define STRONGROOM_ACCESS_EXCLUSIVE 2

/**
 * Not counted.
 */
#define STRONGROOM_ACCESS_NO_USER_LIMIT 3

/**
 * A license of value; a simulated container is refused.
 */
#define STRONGROOM_MODE_LIVE 0

/**
 * A license for tests; a real container is refused.
 */
#define STRONGROOM_MODE_TEST 1

/**
 * Not known to this version.
 */
#define STRONGROOM_FAULT_NONE 0

/**
 * The license does not allow it, or something has to be plugged in.
 */
#define STRONGROOM_FAULT_LICENSE 1

/**
 * A message or file is damaged, forged, or not meant for this place.
 */
#define STRONGROOM_FAULT_MESSAGE 2

/**
 * The calling program.
 */
#define STRONGROOM_FAULT_CALLER 3

/**
 * The container or its medium.
 */
#define STRONGROOM_FAULT_CONTAINER 4

/**
 * The machine: permissions, memory, disk, settings.
 */
#define STRONGROOM_FAULT_MACHINE 5

/**
 * The vendor who made the license or the program.
 */
#define STRONGROOM_FAULT_VENDOR 6

/**
 * The short code, such as `S0380`.
 */
#define STRONGROOM_TEXT_CODE 1

/**
 * The name in the error table, such as `Expired`.
 */
#define STRONGROOM_TEXT_NAME 2

/**
 * What happened.
 */
#define STRONGROOM_TEXT_TITLE 3

/**
 * Why that is likely.
 */
#define STRONGROOM_TEXT_LIKELY 4

/**
 * What to do next.
 */
#define STRONGROOM_TEXT_HINT 5

/**
 * The serial; empty where none could be read.
 */
#define STRONGROOM_FOUND_SERIAL 1

/**
 * The name that the owner gave it.
 */
#define STRONGROOM_FOUND_NAME 2

/**
 * The source in which it was found.
 */
#define STRONGROOM_FOUND_SOURCE 3

/**
 * Where containers are looked for. Zero is no context.
 */
typedef struct {
  /**
   * For the library alone.
   */
  uint64_t id;
} strongroom_context;

/**
 * What a search found. Zero is no search.
 */
typedef struct {
  /**
   * For the library alone.
   */
  uint64_t id;
} strongroom_search;

/**
 * An open container. Zero is no container.
 */
typedef struct {
  /**
   * For the library alone.
   */
  uint64_t id;
} strongroom_container;

/**
 * A vendor, by the fingerprint of its root.
 */
typedef struct {
  /**
   * As `strongroom vendor show` prints it; see `strongroom_vendor_parse`.
   */
  uint8_t fingerprint[16];
} strongroom_vendor;

/**
 * What a use requires of a license. Set it to zero, then `struct_size`, `product`, `vendor` and
 * what else is wanted.
 */
typedef struct {
  /**
   * `sizeof(strongroom_requirement)`.
   */
  uint32_t struct_size;
  /**
   * Product Code.
   */
  uint32_t product;
  /**
   * Whose product.
   */
  strongroom_vendor vendor;
  /**
   * Features that must all be in the license.
   */
  uint64_t features;
  /**
   * Release date of the program, Unix seconds UTC; 0 = not dated.
   */
  uint64_t release_s;
  /**
   * Units taken by the use.
   */
  uint32_t units;
  /**
   * How the use is counted: one of `STRONGROOM_ACCESS_`.
   */
  uint32_t access;
  /**
   * Age of the container's certified time, at most, in seconds; 0 = any.
   */
  uint32_t certified_age_s;
  /**
   * Generation of the vendor's key of the product.
   */
  uint32_t generation;
  /**
   * `STRONGROOM_MODE_LIVE`, or `STRONGROOM_MODE_TEST` for simulated containers.
   */
  uint32_t mode;
  /**
   * 0.
   */
  uint32_t reserved;
} strongroom_requirement;

/**
 * A use of a license. Zero is no seat.
 */
typedef struct {
  /**
   * For the library alone.
   */
  uint64_t id;
} strongroom_seat;

/**
 * What was granted with a seat. Set `struct_size` before the call.
 */
typedef struct {
  /**
   * `sizeof(strongroom_grant)`.
   */
  uint32_t struct_size;
  /**
   * Seconds after which a sign of life is due: `strongroom_seat_renew`.
   */
  uint32_t interval_s;
  /**
   * Seconds without one after which the seat is lost.
   */
  uint32_t timeout_s;
  /**
   * 0.
   */
  uint32_t reserved;
  /**
   * First second in which the use ends by itself, by the container's clock; 0 = no end.
   */
  uint64_t ends_s;
  /**
   * The container's clock when the seat was opened, Unix seconds UTC.
   */
  uint64_t now_s;
} strongroom_grant;

/**
 * An open protected file. Zero is no file.
 */
typedef struct {
  /**
   * For the library alone.
   */
  uint64_t id;
} strongroom_file;

/**
 * An error in numbers. Set `struct_size` before the call.
 */
typedef struct {
  /**
   * `sizeof(strongroom_error)`.
   */
  uint32_t struct_size;
  /**
   * Number in the error table; 0 = no error.
   */
  uint32_t number;
  /**
   * Whose fault: one of `STRONGROOM_FAULT_`.
   */
  uint32_t fault;
  /**
   * With which code a program should exit that ends for it.
   */
  uint32_t exit_code;
  /**
   * First value of the title.
   */
  uint64_t a;
  /**
   * Second value of the title.
   */
  uint64_t b;
} strongroom_error;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The version of this library, such as `0.1.0`.
 */
uint32_t strongroom_version(char *buffer, size_t capacity, size_t *needed);

/**
 * Opens a context. `sources` is a list with commas, such as `usb,sim:/run/dongle`; NULL or blank
 * takes those of the environment, else of the configuration file, else the standard ones.
 */
uint32_t strongroom_context_open(const char *sources, strongroom_context *context);

/**
 * Closes a context. What was opened with it stays open.
 */
uint32_t strongroom_context_close(strongroom_context context);

/**
 * Searches for containers in all sources of a context.
 */
uint32_t strongroom_search_open(strongroom_context context, strongroom_search *search);

/**
 * How many were found, also those that cannot be used.
 */
uint32_t strongroom_search_count(strongroom_search search, uint32_t *count);

/**
 * A text of number `index` among those found, from 0 on: `part` is one of `STRONGROOM_FOUND_`.
 */
uint32_t strongroom_search_text(strongroom_search search,
                                uint32_t index,
                                uint32_t part,
                                char *buffer,
                                size_t capacity,
                                size_t *needed);

/**
 * What keeps number `index` among those found from being used: that error is the outcome of the
 * call, or 0.
 */
uint32_t strongroom_search_hindrance(strongroom_search search, uint32_t index);

/**
 * Closes a search.
 */
uint32_t strongroom_search_close(strongroom_search search);

/**
 * Opens the container with this serial, or with NULL the only one within reach: among several it
 * does not guess.
 */
uint32_t strongroom_container_open(strongroom_context context,
                                   const char *serial,
                                   strongroom_container *container);

/**
 * The serial of a container.
 */
uint32_t strongroom_container_serial(strongroom_container container,
                                     char *buffer,
                                     size_t capacity,
                                     size_t *needed);

/**
 * Whether a use would be allowed: 0, or the refusal that it would meet. Nothing is used.
 */
uint32_t strongroom_container_why(strongroom_container container,
                                  const strongroom_requirement *requirement);

/**
 * Closes a container. Seats that were opened in it stay open.
 */
uint32_t strongroom_container_close(strongroom_container container);

/**
 * Reads a vendor's fingerprint, 32 hexadecimal digits.
 */
uint32_t strongroom_vendor_parse(const char *fingerprint, strongroom_vendor *vendor);

/**
 * Takes a seat. It must be renewed (`strongroom_seat_renew`) or kept (`strongroom_seat_keep`),
 * and is given back when it is closed. That a seat was granted is an answer, and answers can be
 * forged: what must not be had without a license belongs into a protected file.
 */
uint32_t strongroom_seat_open(strongroom_container container,
                              const strongroom_requirement *requirement,
                              strongroom_seat *seat);

/**
 * Takes a seat as a protected file asks for it, in the container with this serial, or with NULL in
 * any within reach. To read the file, `strongroom_file_open` takes one by itself.
 */
uint32_t strongroom_seat_open_for_file(strongroom_context context,
                                       const char *serial,
                                       const char *path,
                                       strongroom_seat *seat);

/**
 * What was granted with a seat.
 */
uint32_t strongroom_seat_grant(strongroom_seat seat, strongroom_grant *grant);

/**
 * Gives a sign of life. Of a kept seat it says whether it is still held. Otherwise the outcome is
 * why it is lost.
 */
uint32_t strongroom_seat_renew(strongroom_seat seat);

/**
 * Has a thread of the library renew a seat until it is closed or lost.
 */
uint32_t strongroom_seat_keep(strongroom_seat seat);

/**
 * Gives a seat back.
 */
uint32_t strongroom_seat_close(strongroom_seat seat);

/**
 * Opens a protected file with a license in the container with this serial, or with NULL in any
 * within reach. A seat is taken, and kept by a thread of the library until the file is closed.
 */
uint32_t strongroom_file_open(strongroom_context context,
                              const char *serial,
                              const char *path,
                              strongroom_file *file);

/**
 * Bytes of content in a protected file.
 */
uint32_t strongroom_file_len(strongroom_file file, uint64_t *len);

/**
 * Decrypts content from `offset` on into `buffer` and tells in `done` how much: all of `len`, or
 * less at the end of the content, or 0 behind it. Threads may read one file at the same time.
 */
uint32_t strongroom_file_read(strongroom_file file,
                              uint64_t offset,
                              void *buffer,
                              size_t len,
                              size_t *done);

/**
 * Closes a protected file and gives its seat back.
 */
uint32_t strongroom_file_close(strongroom_file file);

/**
 * The error of the last call in this thread, in numbers; all zero if it was none. The calls about
 * errors are not counted as calls.
 */
uint32_t strongroom_error_last(strongroom_error *error);

/**
 * A text about the error of the last call in this thread, with its values; empty if it was none.
 * `part` is one of `STRONGROOM_TEXT_`.
 */
uint32_t strongroom_error_text(uint32_t part, char *buffer, size_t capacity, size_t *needed);

/**
 * A row of the error table, in numbers.
 */
uint32_t strongroom_explain(uint32_t number, strongroom_error *error);

/**
 * A text of the error table, with words in place of values. `part` is one of `STRONGROOM_TEXT_`.
 */
uint32_t strongroom_explain_text(uint32_t number,
                                 uint32_t part,
                                 char *buffer,
                                 size_t capacity,
                                 size_t *needed);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* STRONGROOM_H */
