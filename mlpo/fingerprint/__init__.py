"""What a stage's result depends on beside its data: the code it reaches and its parameters, as one file a stage."""
