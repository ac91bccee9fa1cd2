"""Adds up what ctest ran: python3 summary.py LABEL=JUNIT.xml...   Ends with one plain line.

A pytest file or a cmocka program is one test to ctest; here its own cases count. Exit 1 if anything
failed, or if nothing ran."""

import re
import sys
import xml.etree.ElementTree as ElementTree

PYTEST = re.compile(r"^=+ (?:.*, )?\d+ (?:passed|failed|skipped|error).* in [\d.]+s.*=+$", re.M)
CMOCKA = re.compile(r"^\[  (PASSED|FAILED |SKIPPED) *\] (\d+) test\(s\)", re.M)


def counts(case):
    """(passed, failed, skipped) of one ctest test."""
    output = case.findtext("system-out") or ""
    failed = case.find("failure") is not None or case.get("status") == "fail"
    skipped = case.find("skipped") is not None or case.get("status") in ("notrun", "disabled")
    found = PYTEST.findall(output)
    lines = [line for line in output.splitlines() if re.match(r"=+ .* in [\d.]+s", line)]
    if found and lines:
        def number(word):
            return sum(int(n) for n in re.findall(rf"(\d+) {word}", lines[-1]))
        passed, bad, skip = number("passed"), number("failed") + number("error"), number("skipped")
        return passed, max(bad, int(failed)), skip
    groups = dict.fromkeys(("PASSED", "FAILED", "SKIPPED"), 0)
    for word, number in CMOCKA.findall(output):
        groups[word.strip()] += int(number)
    if any(groups.values()):
        return groups["PASSED"], max(groups["FAILED"], int(failed)), groups["SKIPPED"]
    return int(not failed and not skipped), int(failed), int(skipped and not failed)


def reasons(case):
    output = case.findtext("system-out") or ""
    found = re.findall(r"^SKIPPED (?:\[\d+\] )?(.*)$", output, re.M)
    found += re.findall(r"^(?:SKIP|skip): (.*)$", output, re.M)
    return found


def main(arguments):
    total = [0, 0, 0]
    failures, skips = [], []
    for argument in arguments:
        label, _, path = argument.partition("=")
        try:
            cases = list(ElementTree.parse(path).getroot().iter("testcase"))
        except (OSError, ElementTree.ParseError) as error:
            failures.append(f"{label}: no result ({error})")
            total[1] += 1
            continue
        here, seconds = [0, 0, 0], 0.0
        for case in cases:
            one = counts(case)
            here = [a + b for a, b in zip(here, one)]
            seconds += float(case.get("time") or 0)
            if one[1]:
                failures.append(f"{label}: {case.get('name')} ({one[1]})")
            if one[2]:
                skips += [f"{label}: {case.get('name')}: {why}"
                          for why in reasons(case) or ["no reason given"]]
        print(f"{label}: {here[0]} passed, {here[1]} failed, {here[2]} skipped "
              f"({len(cases)} ctest tests, {seconds:.0f} s of test time)")
        total = [a + b for a, b in zip(total, here)]
    for title, lines in (("skipped", skips), ("FAILED", failures)):
        for line in sorted(set(lines)):
            print(f"  {title}: {line}")
    print(f"{total[0]} passed, {total[1]} failed, {total[2]} skipped")
    return 1 if total[1] or not total[0] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
