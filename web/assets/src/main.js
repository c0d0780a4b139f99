import Alpine from "@alpinejs/csp";
import htmx from "htmx.org";

// A strict content security policy allows neither eval nor inline styles.
htmx.config.allowEval = false;
htmx.config.includeIndicatorStyles = false;

Alpine.start();
