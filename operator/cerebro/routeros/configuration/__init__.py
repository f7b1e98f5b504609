"""What a router must have so that it dials its Hub, and the plan that makes it so."""
