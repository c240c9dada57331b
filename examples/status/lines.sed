# Makes each line of a text a string of C, with its newline.
s/[\\"]/\\&/g
s/.*/"&\\n",/
