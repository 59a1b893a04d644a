"""Programs that show the properties on a layer; the kit puts each into the failure that it shows."""
