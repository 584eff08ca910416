"""From a folder of labelled recordings to a model package: what ``audiomon train`` does."""
