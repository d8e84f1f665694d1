const crescent =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24">' +
  '<path fill="#7480ab" d="M21 14.6A9.4 9.4 0 1 1 9.4 3a7.6 7.6 0 0 0 11.6 11.6Z"/></svg>';

/** What a browser shows in the tab of a page of ours, and at `/favicon.ico` while the sandbox sleeps; `image/svg+xml`. */
export const favicon: Buffer = Buffer.from(crescent);
export const faviconDataUrl = `data:image/svg+xml,${crescent.replaceAll('"', "'").replace(/[#<>]/g, encodeURIComponent)}`;
