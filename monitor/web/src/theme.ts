// Light, dark, or as the viewer's system is; remembered in this browser.

export type Theme = "auto" | "light" | "dark";
export const THEMES: readonly Theme[] = ["auto", "light", "dark"];

const KEY = "locum-colours";

/** What was chosen in this browser. */
export function chosen(): Theme {
  try {
    return THEMES.find((theme) => theme === window.localStorage.getItem(KEY)) ?? "auto";
  } catch {
    return "auto";
  }
}

export function setTheme(theme: Theme): void {
  if (theme === "auto") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
  try {
    window.localStorage.setItem(KEY, theme);
  } catch {
    // A browser that keeps nothing: it holds until the page is closed.
  }
}
