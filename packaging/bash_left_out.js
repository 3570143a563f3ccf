/** Stands for a package behind a command that is not offered. */
export default undefined;
