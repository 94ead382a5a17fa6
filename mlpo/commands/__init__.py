"""One file for each word of the command line that is no stage."""
