/* The trust artefacts: the files that make a confined program believe the CA of its run. One table
 * (policy/artefact.inc) says what each is called and where it appears; everybody else counts them
 * by number. */
#ifndef SANDLOCK_POLICY_ARTEFACT_H
#define SANDLOCK_POLICY_ARTEFACT_H

#include <stdbool.h>
#include <stddef.h>

enum sl_artefact {
#define SL_ARTEFACT(id, name, file) SL_ARTEFACT_##id,
#include "policy/artefact.inc"
    SL_ARTEFACTS, /* how many there are; as an answer: none */
};

/* What messages and tables call it: "ca". */
const char *sl_artefact_name(enum sl_artefact artefact);
/* Its file in the private directory of a run: "ca.pem". */
const char *sl_artefact_file(enum sl_artefact artefact);

/* The variables of the environment that name those files. */
typedef struct sl_artefact_variable {
    const char *name;
    enum sl_artefact artefact;
} sl_artefact_variable;
const sl_artefact_variable *sl_artefact_variables(size_t *ret_count);

/* Which artefact stands for the file at this absolute path, of the system or of a package that
 * brings its own; SL_ARTEFACTS: none. */
enum sl_artefact sl_artefact_at(const char *path);

/* False when the last part of the path alone says that neither sl_artefact_at nor the private
 * directory of a run has it. Links to a bundle are known by their endings, ".pem" and ".crt". */
bool sl_artefact_may_be(const char *path);

#endif
