export const title = "as it was installed";
