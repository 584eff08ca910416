"""What the offline path costs, beside its bare arithmetic: ``audiomon bench pipeline``."""
