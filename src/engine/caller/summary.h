/* The last words of a run about what was denied. */
#ifndef SANDLOCK_ENGINE_CALLER_SUMMARY_H
#define SANDLOCK_ENGINE_CALLER_SUMMARY_H

#include "core/strv.h"
#include "policy/told/denial.h"

#define SL_SUMMARY_SHOWN_MAX 20 /* lines of a group */

/* On standard error: what an option allows, with the option; then the rest, with the reason. Silent
 * when there is nothing. `proxies`: destinations that are suggested to nobody
 * (engine/start/proxies.h). */
void sl_summary_write(sl_denials *denials, const sl_strv *proxies);

#endif
