"""Training: runs of a command on the data of a version, and a ready trainer for classified images."""
