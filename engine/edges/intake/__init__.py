"""Where alerts come in: body to `Delivery`, authentication, and the endpoint that answers after the commit."""
