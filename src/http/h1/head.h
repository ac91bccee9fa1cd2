/* The check of raw bytes that every HTTP/1 head passes before a parser sees it (RFC 9112).
 *
 * Pure. It refuses every form on which two parsers have ever disagreed; what it accepts has one
 * reading. It finds the head's end, counts and bounds; it does not give meaning to fields. */
#ifndef SANDLOCK_HTTP_H1_HEAD_H
#define SANDLOCK_HTTP_H1_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SL_HEAD_MAX        (64u << 10) /* bytes of a whole head */
#define SL_HEAD_TARGET_MAX (16u << 10)
#define SL_HEAD_LINE_MAX   (32u << 10) /* one field line */
#define SL_HEAD_FIELDS_MAX 1024

enum sl_head_result {
    SL_HEAD_MORE = 0, /* no end yet, nothing wrong so far */
    SL_HEAD_OK,
    SL_HEAD_BAD,     /* 400 */
    SL_HEAD_VERSION, /* 505 */
    SL_HEAD_TARGET,  /* 414 */
    SL_HEAD_LARGE,   /* 431 */
};

/* Where a scan stands; zero it before each head. */
typedef struct sl_head_scan {
    size_t pos;        /* bytes looked at */
    size_t line_start; /* of the line being looked at */
    unsigned lines;
    const char *why; /* constant text, when not OK */
} sl_head_scan;

/* Looks at bytes as they come: line ends, forbidden bytes, sizes. OK: the head is the first
 * `*ret_len` bytes, the empty line included. */
enum sl_head_result sl_head_scan_next(sl_head_scan *scan, const uint8_t *data, size_t len,
                                      bool response, size_t *ret_len);

/* Checks a complete head, line by line. */
enum sl_head_result sl_head_check_request(const uint8_t *head, size_t len, const char **ret_why);
enum sl_head_result sl_head_check_response(const uint8_t *head, size_t len, const char **ret_why);

/* RFC 9110 section 5.6.2 */
bool sl_head_is_tchar(uint8_t c);

#endif
