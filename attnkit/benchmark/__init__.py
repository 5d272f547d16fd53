"""Speed, measured side by side: each peer in a process of its own, runs interleaved, medians and ratios."""
