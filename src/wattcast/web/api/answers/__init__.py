"""What the API gives, as types: they write what is answered, and are its documentation."""
