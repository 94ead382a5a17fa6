"""What is counted of transcripts and scores."""
