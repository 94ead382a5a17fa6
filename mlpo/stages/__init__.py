"""The stages of dvc.yaml, one file each: they read, call and write. What two of them need lies beside them."""
