"""Training on rows that do not fit in memory: they are read block by block, in every epoch anew."""
