"""Dead letters: records that cannot be understood, written, read and sent again."""
