"""Dead letters: records that cannot be understood are set aside (writer.py), read and sent again."""
