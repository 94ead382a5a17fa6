"""The champion and its team behind one OpenAI-compatible URL, with a page to watch them: `mlpo serve`."""
