"""``python -m tests.instructions [--update]``: counts everything, and compares it with the budget."""

import sys

from tests.instructions.budget import BUDGET, FIGURES, counted, read_budget, write_budget


def main() -> int:
    """Count, and say which figures are above the budget; or, with --update, make what is counted the budget."""
    budget, seen = read_budget(), {}
    above = False
    for name in FIGURES:
        seen[name] = counted(name)
        allowed = budget.get(name, 0)
        change = f"{100 * (seen[name] / allowed - 1):+.1f} %" if allowed else "new"
        above = above or seen[name] > allowed * 1.03
        print(f"{name:36} {seen[name] / 1e6:9.3f} M   budget {allowed / 1e6:9.3f} M   {change}", flush=True)
    if "--update" in sys.argv[1:]:
        write_budget(seen)
        print(f"written to {BUDGET}")
        return 0
    return 1 if above else 0


if __name__ == "__main__":
    sys.exit(main())
