/* Text that others chose, made safe to show. */
#ifndef SANDLOCK_CORE_TEXT_H
#define SANDLOCK_CORE_TEXT_H

/* Replaces in place what a terminal would obey (control bytes) and what may not be one character
 * (bytes above 0x7e) by '?'. One event stays one line. */
void sl_printable(char *text);

#endif
