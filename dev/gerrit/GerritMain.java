import java.util.Arrays;

/** Runs one of Gerrit's programs (`Init`, `Daemon`) without the war that normally starts them. */
public class GerritMain {
  public static void main(String[] args) throws Exception {
    Class<?> program = Class.forName("com.google.gerrit.pgm." + args[0]);
    Object instance = program.getDeclaredConstructor().newInstance();
    Object arguments = Arrays.copyOfRange(args, 1, args.length);
    int code = (Integer) program.getMethod("main", String[].class).invoke(instance, arguments);
    // A daemon that started well goes on in its own threads; it says nothing when it did not.
    if (code != 0 || !args[0].equals("Daemon")) {
      System.err.println(args[0] + " returned " + code);
      System.exit(code);
    }
  }
}
