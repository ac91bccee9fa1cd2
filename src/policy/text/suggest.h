/* Words that help: the nearest known one, and command-line words that can be pasted. */
#ifndef SANDLOCK_POLICY_TEXT_SUGGEST_H
#define SANDLOCK_POLICY_TEXT_SUGGEST_H

#include <stdbool.h>
#include <stddef.h>

#define SL_SUGGEST_WORD_MAX 64

/* Typing errors between two words: insertions, deletions, replacements, swaps of neighbours
 * (optimal string alignment). '-' and '_' are the same. SIZE_MAX when a word is too long. */
size_t sl_suggest_distance(const char *a, const char *b);
/* Is a distance small enough, for a word of this length, to be worth a "did you mean"? */
bool sl_suggest_near(size_t distance, size_t length);

/* Writes `option 'word'` with the word quoted for a POSIX shell. 0, or -EINVAL (and "") when the
 * word has a control byte or does not fit. */
int sl_suggest_option(const char *option, const char *word, char *out, size_t size);

#endif
