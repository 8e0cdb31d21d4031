// A folder of static files: no server takes part.
export default { output: 'export', distDir: 'dist' };
