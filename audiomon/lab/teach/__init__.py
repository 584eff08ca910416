"""A head of one's own on a network that has heard a great deal already: what ``audiomon train --on`` does."""
