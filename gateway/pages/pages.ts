import { type Page, pageRenderer } from "./page.ts";
import { type RedeemView, redeemPage } from "./redeem-page.ts";
import { type RefusalView, refusalPage } from "./refusal-page.ts";
import { readTheme } from "./theme.ts";
import { type WakingView, wakingPage, wakingScript } from "./waking-page.ts";

export { favicon } from "./favicon.ts";
export type { Page } from "./page.ts";
export { problemDocument } from "./problem-document.ts";
export type { RedeemView } from "./redeem-page.ts";
export type { RefusalView } from "./refusal-page.ts";
export { type RefusalText, refusalTexts } from "./refusal-texts.ts";
export type { WakingView } from "./waking-page.ts";

/** The pages that the gateway itself answers with. */
export type Pages = {
  refusal(view: RefusalView): Page;
  waking(view: WakingView): Page;
  redeem(view: RedeemView): Page;
};

export type PagesOptions = {
  /** Where an operator's `theme.css` and `footer.html` are; neither need be there. */
  readonly themeDirectory?: string | undefined;
};

/** Prepares the pages. Throws when the theme cannot be used. */
export function openPages({ themeDirectory }: PagesOptions = {}): Pages {
  const theme = themeDirectory === undefined ? {} : readTheme(themeDirectory);
  const plain = pageRenderer(theme);
  const live = pageRenderer(theme, wakingScript);
  return {
    refusal: (view) => refusalPage(view, plain),
    waking: (view) => wakingPage(view, live),
    redeem: (view) => redeemPage(view, plain),
  };
}
