"""What readers see: tables, figures, the gallery and the notebooks. Nothing here trains."""

import sys

# Whatever reads notebooks imports jsonschema, which builds a grammar of internationalised addresses
# where it finds this package: a second, for a check that no notebook's schema asks for.
sys.modules.setdefault("rfc3987_syntax", None)
