import { Html } from "./html.ts";

const mark = (path: string) =>
  new Html(
    `<svg class="mark" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">${path}</svg>`,
  );

/** The pictures above the headings; decoration only. */
export const marks = {
  moon: mark('<path d="M20.5 14.3A8.6 8.6 0 1 1 9.7 3.5a7 7 0 0 0 10.8 10.8Z"/>'),
  lock: mark('<rect x="4.5" y="10.5" width="15" height="10" rx="2"/><path d="M8 10.5V7.5a4 4 0 0 1 8 0v3"/>'),
  signpost: mark('<circle cx="11" cy="11" r="7"/><path d="m16.2 16.2 4.3 4.3M8.8 8.8l4.4 4.4m0-4.4-4.4 4.4"/>'),
  pause: mark('<circle cx="12" cy="12" r="9"/><path d="M12 7.2V12l3 2"/>'),
  alert: mark('<path d="M12 3.6 21.2 19.6a.6.6 0 0 1-.5.9H3.3a.6.6 0 0 1-.5-.9Z"/><path d="M12 10v4.2m0 2.8v.1"/>'),
};
export type Mark = keyof typeof marks;
