"""One network called in every way there is: ``audiomon bench models``."""
