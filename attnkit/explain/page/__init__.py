"""One standalone page for all attention: words, lines, heads, heat maps, pictures, gates and classified documents."""
